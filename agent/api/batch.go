package api

import "time"

// ContentBatch is the type of a batch's body: NDJSON.
const ContentBatch = "application/x-ndjson"

const (
	// MaxBatchEvents and MaxBatchBytes bound the body of a batch. MaxRequest bounds each
	// of its lines.
	MaxBatchEvents, MaxBatchBytes = 1_000_000, 1 << 30
	// MaxBatchTime bounds a batch from its begin, and MaxBatchSilence the time between
	// two pieces of its body.
	MaxBatchTime, MaxBatchSilence = 10 * time.Minute, 10 * time.Second
	// MaxBatches bounds the batches of one client at a time. All clients together have
	// twice as many.
	MaxBatches = 4
	// MaxBatchIDs is up to how many events the answer lists the IDs of all.
	MaxBatchIDs = 1_000
)

// BatchReport is the answer of POST /v1/events to a batch: a body of type
// [ContentBatch], with a [PublishRequest] on each line. Blank lines are left out.
//
// The agent publishes the events in the order of the lines. It ends at the first line
// that it cannot publish. The events before that line are published, and nothing behind
// it. The status is 202 if all were taken. Otherwise it is that of the wrong line, as a
// single publish has it, and Line and Error are there.
type BatchReport struct {
	Taken   int      `json:"taken"` // events
	FirstID string   `json:"first_id,omitempty"`
	LastID  string   `json:"last_id,omitempty"`
	IDs     []string `json:"ids,omitempty"` // in order, if at most [MaxBatchIDs] were taken
	// Unreached and Warning are those of the last event that is over serf's limit.
	Unreached []string `json:"unreached,omitempty"`
	Warning   string   `json:"warning,omitempty"`
	Line      int      `json:"line,omitempty"` // of the body, from 1 on: it was not published
	Error     string   `json:"error,omitempty"`
}
