module vectors

go 1.21
