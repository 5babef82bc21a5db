-- Until the transaction ends nobody reads or changes the configuration.
LOCK TABLE config_version IN ACCESS EXCLUSIVE MODE
