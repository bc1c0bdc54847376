"""How fast keitaro-runner is, beside what it is made of and beside its peers; see README.md."""
