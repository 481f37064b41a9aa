package api

import "time"

// StatusReport is the answer of GET /v1/status.
type StatusReport struct {
	Node    string         `json:"node"`
	Version string         `json:"version"`
	State   string         `json:"state"` // serf's: alive, leaving, left or shutdown
	Joined  bool           `json:"joined"`
	Members map[string]int `json:"members"` // by status
	// Warnings say what is wrong around the node, such as a closed port.
	Warnings []string `json:"warnings,omitempty"`
	Links    int      `json:"links"` // agents with an open link to this one
	// Trees is absent in a small cluster, where each publisher sends to all members itself.
	Trees   *TreesReport   `json:"trees,omitempty"`
	Journal JournalReport  `json:"journal"`
	Targets []TargetReport `json:"targets"`
}

// TreesReport is how the broadcast along trees stands.
type TreesReport struct {
	Neighbours int `json:"neighbours"` // agents with which this node exchanges events
	// Served are the members that take no part in trees, as this node knows.
	Served []ServedReport `json:"served"`
}

// ServedReport tells who brings events to a member that takes no part in trees.
type ServedReport struct {
	Member string   `json:"member"`
	By     []string `json:"by"` // agents; each sends it every event
}

// JournalReport is how the journal stands.
type JournalReport struct {
	Head     uint64    `json:"head"`     // sequence number of the newest event
	Retained uint64    `json:"retained"` // events of the history
	Oldest   time.Time `json:"oldest,omitzero"`
	// DataDir and Disk are absent if the journal is in memory.
	DataDir string      `json:"data_dir,omitempty"`
	Disk    *DiskReport `json:"disk,omitempty"`
}

// DiskReport is how the journal's disk stands.
type DiskReport struct {
	// Degraded says that the disk fails or does not keep up, and Error why. The
	// agent takes and delivers events all the same. A process that ends loses
	// those that wait.
	Degraded bool      `json:"degraded"`
	Since    time.Time `json:"since,omitzero"`
	Error    string    `json:"error,omitempty"`

	// Unwritten events, of UnwrittenBytes, are not in the file yet.
	Unwritten      int `json:"unwritten"`
	UnwrittenBytes int `json:"unwritten_bytes"`

	Durable    uint64 `json:"durable"`    // sequence number of the newest event in the file
	Duplicates uint64 `json:"duplicates"` // events left out, as the journal held them already
	Commits    uint64 `json:"commits"`
	Failures   uint64 `json:"failures"` // commits that failed
	Degrades   uint64 `json:"degrades"` // how often the disk began to fail or lag
}

// TargetState is a word for how a target stands.
type TargetState string

const (
	TargetOK       TargetState = "ok"       // no request fails, and the last answer was no refusal
	TargetRefusing TargetState = "refusing" // its last events were buried, and it has taken none since
	TargetRetrying TargetState = "retrying" // an event's last attempt failed, and is repeated
	TargetFlushing TargetState = "flushing" // it lost events, and is flushed before all else
	TargetStale    TargetState = "stale"    // it lost events, and has no flush or refused it
)

// Why is why the next attempt is not made yet.
type Why string

const (
	WhyRefused    Why = "refused"     // the target refuses connections; the attempt begins within 300 ms after it takes one
	WhyRetryAfter Why = "retry-after" // its answer asked for the wait, which is cut to 5 minutes
	WhyBackoff    Why = "backoff"     // the random wait after an attempt that failed, which grows to 30 s
	WhyFlushed    Why = "flushed"     // it was flushed just now, and lost events again
)

// TargetReport is how a target stands. No text in it holds a URL's password.
type TargetReport struct {
	Target string      `json:"target"` // its name
	State  TargetState `json:"state"`  // the worst that applies: flushing or stale, retrying, refusing, ok
	// Since is when the state began.
	Since time.Time `json:"since"`

	// LastError is why an attempt last failed. It stays after later ones succeed.
	LastError     string    `json:"last_error,omitempty"`
	LastErrorTime time.Time `json:"last_error_time,omitzero"`
	// Attempts is how often one event has failed since the target began to fail:
	// the event that failed most, or the flush that is due.
	Attempts int `json:"attempts,omitempty"`
	// NextAttempt is when the agent makes the next attempt at the latest; absent if
	// nothing waits for one after a failure. NextWhy is the reason of the wait.
	NextAttempt time.Time `json:"next_attempt,omitzero"`
	NextWhy     Why       `json:"next_why,omitempty"`

	// Waiting counts the pending events, with those in flight and those joined to
	// one that waits. OldestWaiting is when this node first knew of the oldest.
	Waiting int `json:"waiting"`
	// InFlight counts the events that the agent is posting, or holds for their next
	// attempt.
	InFlight      int       `json:"in_flight"`
	OldestWaiting time.Time `json:"oldest_waiting,omitzero"`
	LastDelivered time.Time `json:"last_delivered,omitzero"`

	Delivered uint64 `json:"delivered"` // events taken
	Retried   uint64 `json:"retried"`   // attempts beyond each event's first
	Buried    uint64 `json:"buried"`    // all burials since the agent began; some may have been delivered since
	Outdated  uint64 `json:"outdated"`  // member events not posted, as they were no longer true
	Collapsed uint64 `json:"collapsed"` // events joined to an equal one that waited
	// Lost counts the events that were given up, because too many waited or one
	// waited too long. It also counts those that never came into the journal.
	// Expired counts the lost events that waited too long.
	Lost    uint64 `json:"lost"`
	Expired uint64 `json:"expired"`
	// GapSince is the beginning of the target's gap: it lacks events, or may lack
	// some, and no flush has made that good. It is absent without a gap. GapReason
	// is that of the newest loss.
	GapSince  time.Time `json:"gap_since,omitzero"`
	GapReason string    `json:"gap_reason,omitempty"`

	Flushes        uint64    `json:"flushes"`         // that the target has done
	FlushesRetried uint64    `json:"flushes_retried"` // attempts that failed, and were followed by others
	FlushesRefused uint64    `json:"flushes_refused"` // for good
	LastFlush      time.Time `json:"last_flush,omitzero"`

	// Latency tells of the last deliveries, from the moment this node first knew the
	// event until the target had taken it. AttemptLatency tells of their last
	// attempts alone.
	Latency        Quantiles `json:"latency_seconds,omitzero"`
	AttemptLatency Quantiles `json:"attempt_seconds,omitzero"`

	// BuriedNow counts the events that are buried and kept.
	BuriedNow int `json:"buried_now"`
}

// Quantiles tell how long the last deliveries took, in seconds: half of them at
// most P50, and so on. All are zero if Count is.
type Quantiles struct {
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
	Count int     `json:"count"` // of these deliveries
}
