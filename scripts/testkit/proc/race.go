package proc

// RaceEnv is the variable that the race detector reads. Unraced is its setting for
// monitor, query and reachability: the client of serf's that they are made of
// closes a channel while it may be sending on it.
const (
	RaceEnv = "GORACE"
	Unraced = "report_bugs=0 atexit_sleep_ms=0"
)
