package api

import (
	"fmt"
	"time"
)

// ReplayRequest is the body of POST /v1/replay: a target, and exactly one of
// IDs, Since, Buried, Flush, AcceptGap and Now.
type ReplayRequest struct {
	Target string   `json:"target"`
	IDs    []string `json:"ids,omitempty"`   // posted even if they are no longer true
	Since  string   `json:"since,omitempty"` // see [ParseSince]
	Buried bool     `json:"buried,omitempty"`
	// Limit is how many events are replayed, the oldest first; 0: all.
	Limit  int  `json:"limit,omitempty"`
	DryRun bool `json:"dry_run,omitempty"`

	// Flush asks for the target's flush. AcceptGap says that its gateway is
	// fresh, whatever events it lacks. Neither replays an event.
	Flush     bool `json:"flush,omitempty"`
	AcceptGap bool `json:"accept_gap,omitempty"`
	// Now makes the next attempt at once for all that waits after a failed attempt,
	// whatever the target asked for. It replays no event either.
	Now bool `json:"now,omitempty"`
}

// ReplayReport is the answer of POST /v1/replay and of GET /v1/replay/{id}.
type ReplayReport struct {
	ID     uint64 `json:"id,omitempty"` // absent if nothing was replayed
	Target string `json:"target"`
	Events int    `json:"events"`         // that are replayed, or would be
	Left   int    `json:"left,omitempty"` // newer ones, beyond the limit
	// First and Last are the times of the oldest and the newest of them.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`

	// The counts say what became of the events so far. Lost ones were given up: see
	// the status of the target. Outdated ones were not posted, because they were no
	// longer true. Unknown ones left the history before anyone asked, or their
	// target is gone.
	//
	// For Now, Waiting counts all events that wait for the target.
	Waiting   int `json:"waiting"`
	Delivered int `json:"delivered"`
	Buried    int `json:"buried"`
	Lost      int `json:"lost"`
	Outdated  int `json:"outdated"`
	Unknown   int `json:"unknown"`

	// GapSince is the beginning of the accepted gap; absent without one.
	GapSince time.Time `json:"gap_since,omitzero"`
}

// ParseSince reads a point in time, in one of three forms. It takes RFC 3339. It
// takes the same without the zone, or without zone and time of day, as local time.
// It takes a duration, and goes back from now by that.
func ParseSince(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil {
		if d < 0 {
			return time.Time{}, fmt.Errorf("%q lies in the future: leave out the minus sign", text)
		}
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a duration such as 15m or 24h nor a time such as %s", text, now.Format(time.RFC3339))
}
