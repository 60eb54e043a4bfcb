"""The doctor's rooms: cases put to a reward, what must come back, and the child that it runs in."""
