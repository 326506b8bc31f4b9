"""Linux hosts on the twin: the commands and files that are used on them, over SSH or in process."""
