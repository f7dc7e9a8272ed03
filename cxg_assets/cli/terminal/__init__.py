"""How the command speaks: progress, tables, colours and help; on a terminal and where there is none."""
