-- Until the transaction ends nobody reads or writes a dead letter.
LOCK TABLE dead_letters IN ACCESS EXCLUSIVE MODE
