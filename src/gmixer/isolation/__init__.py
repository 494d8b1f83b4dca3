"""Decoding in separate processes, which may be killed.

workers.py      Workers: starts the processes, hands them files, checks their answers
worker_main.py  what runs in such a process; it imports no numpy

Nothing is imported here, so that a process starts quickly.
"""
