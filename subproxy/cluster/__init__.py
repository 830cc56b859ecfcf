"""Many hosts: what each of them serves stands in a store that all of them watch."""
