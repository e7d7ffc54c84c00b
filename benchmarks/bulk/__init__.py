"""`sweetspot bulk` beside what teams write themselves: a script of Ray Data, and one of Daft."""
