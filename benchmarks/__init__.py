"""Comparisons and experiments that are run from a checkout. README.md says how.

peers.py            the command: gmixer against timm, ONNX Runtime and OpenVINO
contest_plan.py     which contests it runs
contest.py          Contest: contestants take turns, round by round; its rows
forward_contest.py  contests: the forward pass
networks.py         runs the network with gmixer and its peers, in the measured processes
quantized.py        makes the peers' networks in int8
image_contest.py    contests: one JPEG to its tensor
folder_contest.py   contest: a folder of JPEGs to classes and embeddings
launch_contest.py   contests: whole processes, from start to end
launcher.py         times one command; scripts/ holds the commands of the peers
embed.py            another command: gmixer embed against the model alone, from S3, and against timm
embed_contest.py    its contests; slow_s3.py: a server that answers late; tree_launcher.py: the memory of a tree of
                    processes
contest_plot.py     draws rows of contests with matplotlib
image_size.py       another command: what another image size costs
"""
