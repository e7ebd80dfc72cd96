"""Export and import memories: to other data directories, and from other programs' files.

A file becomes a stream of items, and items become memories, in this order:

source      open a file or standard input, decrypt it, decode bytes to text
detect      find the format of a source, and open it as a stream of items
formats     one module a file format; adding one is its module and a line in the registry
normalize   fit what other programs keep to the limits of a memory
records     what every format is read into, and what is selected for an export
prepare     turn a record into a memory to be stored: its owner, its id
importer    store them batch by batch
sync        reconcile the links between versions, so that two machines get the same result
exporter    write an export
encryption  encrypt and decrypt with a passphrase
"""
