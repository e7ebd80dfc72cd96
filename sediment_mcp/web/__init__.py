"""Web UI for this machine only: search, read, correct and sort memories, and see counts.

    server          the socket, the one-time address, the end
    auth            who may send requests: token, cookie, Host, Origin; and what a browser may do with answers
    app             addresses → functions, and the page's own files
    queries         what the page shows
    mutations       what it changes
    similar_pairs   memories that may contradict each other
    text_diff       how two texts differ
    request         what every request is answered from, and how its arguments are checked
    static/         the page itself: plain HTML, CSS and ES modules, served unchanged

Queries and mutations run the same operations as the tools and the commands.

What memories hold is data: it goes to the page as JSON, and the page shows it as text, never as HTML.
"""
