"""Files: whole or not there, in formats that run nothing, and folders that know when damaged."""
