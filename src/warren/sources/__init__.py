"""Where captured hosts come from: folders, archives, this host, another host by ssh, standard input.

Owns reading files and running the capture script. It must never change a host: the script only reads.
"""
