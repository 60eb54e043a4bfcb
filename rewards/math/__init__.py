"""The `math` reward: does the response's final answer equal the gold one?

In: a response and the row's gold answer. Out: a `Verdict`, from `grade_math`. Tiers, the cheap
ones first: numbers, structure and exact fingerprints in the caller's process, without computer
algebra and without a deadline because all of it is bounded; high precision and math-verify in
killable workers for the few pairs that are left.
"""
