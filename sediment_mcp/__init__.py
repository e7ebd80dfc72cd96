"""sediment-mcp: a memory for desktop agents, local, shared by all hosts, found by meaning and by words.

The idea
    SQLite is the system of record, and COMMIT the only point of durability. The text index (tantivy) and the
    vector index (usearch) are derived snapshots that may be stale, damaged or missing at any time. What a
    snapshot lacks is its *tail*: rows with a higher sequence, searched directly in memory. So a store costs
    one commit, is found at once by every process, and recovery from a crash is the ordinary path started
    from an older snapshot. Indexes propose, SQLite decides, ranking is pure, the model is optional.

The rooms, some of them folders; a module imports only from its own floor and from those below
    7  cli  commands  server  ui        the edges: translate, nothing else
    6  operations  answers              the four tools
       forgetting  history              what goes and comes back; what replaced what
       stats  amending                  what there is, in numbers; attributes corrected in place
       resources  prompts               what a person chooses in a host
       likeness                         what a new memory repeats or may contradict
       transfer                         export and import
       restoring  salvage               back to a backup; what can be read of a damaged database
       checkup  surroundings            what the doctor finds: in the data, around them
       hosts                            where each host lists its servers: into it, and out again
    5  library                          opens everything, closes everything, says who may write and when
    4  search  gathering                find candidates, with the best passage of each and its context
       catch_up  backlog                write snapshots; embed what is missing
       retention  backups               remove what has ended, as policy decides; a backup a day
       erasing                          what an erasure leaves behind its rows
       upkeep  warm_up                  the background thread; the model when it is needed
    3  text_search  vector_search       a snapshot and its tail as one
       leg  tail                        what both share; the rows that no snapshot has yet
       columns                          what a filter lets through
    2  store  embeddings                all SQL
       ages  tallies                    of it what is due, and what there is
       archive                          all of it, to be carried elsewhere
       database  migrations             SQLite itself: transactions, checkpoints, schema
       adoption  replacement            another database's memories; another file in its place
       mended_rows                      rows of a damaged database
       text_index  vector_index  words  tantivy and usearch, one file each; text to terms
       embedder                         text to vectors, by one of two runtimes:
       minilm  sentence_transformer     onnxruntime for the default model, any other model
       weights  turns                   model files by their content; so many runs of a model at once
       files  ownership                 the data directory, its locks, its owner
       secrets_check                    does a text hold a secret?
       questions                        what was asked in vain
       freed                            memory goes back to the system
       stdio                            the transport
    1  chunking  ranking  duplicates    pure
       context  dates  visible
       near_duplicates  addressed       the same in other words? words that command a model?
       policy                           what may go, and why
       excerpts  selection  project  jsonrpc  config  contract
    0  errors  memory  progress         values

Ways through the house
    store   check, chunk, embed without any lock, look for what is alike, then one transaction under the
            write lock
    query   reload snapshots, read the delta from SQLite, search both legs, join, filter exactly, rank, fit
    list    SQLite alone
    delete  one transaction; invisible everywhere at once, and in the trash for 30 days
    end     what has expired, or lain in the trash, is erased: rows, log, backups, indexes written anew
    damage  a copy is put aside, what can be read and what the newest backup has become a new database, which
            takes the place of the old one; running processes see that their file is another, and open it
"""

__version__ = "0.1.0"
