"""A local page to look inside the memory: search, read, correct, sort out and see what is there.

    serving   the socket, the one-time address, the end
    gate      who may ask: token, cookie, Host, Origin, and what a browser may do with the answers
    site      addresses → functions, and the page's own files
    reading   what the page shows                    both through the operations that the tools
    changing  what it changes                        and the commands use
    pairs     memories that may contradict each other
    wording   how two texts differ
    page/     the page itself: plain HTML, CSS and ES modules, served as they are

What memories hold is data: it travels as JSON, and the page puts it on the screen as text, never as HTML.
"""
