module subproxy/guest

go 1.25
