"""Where bytes come from: files, folders, archives and URLs.

entry.py        Entry: one file to read, wherever it is; read: all of its bytes, within the limits
local.py        LocalFile, FileSlice, StandardInput; pipes and devices are refused
archive.py      the members of a tar or zip archive, in order; nothing is unpacked to disk
web.py          WebFile: an http or https URL, from public addresses only
fetching.py     Fetches: the bytes of several remote files, at the same time; fetch_urls: of the URLs among images
address.py      a path, a URL or a member of an archive → its Entry
listing.py      list_files: files, folders and archives → their entries, in order
inputs.py       Inputs: the images of a command line, with counts
text_file.py    the bytes of a text file → text, in UTF-8, UTF-16 or UTF-32
sniff.py        sniff: the format by the first bytes; a file's extension is never used
image_names.py  is_called_image: which names promise an image; such a file is never left out silently

A new place for bytes is a new module with its own Entry, and a row in address.py.

Nothing is imported here: a decoding process needs sniff.py alone.
"""
