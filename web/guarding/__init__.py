"""What stands before every view and after it: who may ask how often, who is believed about where a request came from,
and what browsers may do with an answer."""
