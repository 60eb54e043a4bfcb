"""Why a response is not right: its class, the rate of each class, and what to do about it."""
