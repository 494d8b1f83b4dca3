"""Where bytes come from: files, folders, archives and URLs.

sniff.py     sniff: the format by the first bytes; a file's extension is never consulted
local.py     a file → its bytes; pipes and devices are refused
archive.py   tar and zip archives → their members, in order, never unpacked to disk
web.py       a URL → the bytes there, from public addresses only
address.py   a path, a URL or a member of an archive → the bytes there, by one of the three above
listing.py   find_images: files, folders, archives → the images to read, in order

Nothing is imported here: a decoding process needs sniff.py alone.
"""
