"""How jobs move: who may begin, who holds one, what becomes of those that stand still."""
