package api

// DismissRequest is the body of POST /v1/dismiss: a target, and exactly one of IDs and
// All. The agent forgets these burials, so that they are no longer counted, replayed with
// the buried ones, nor shown with their reasons. It forgets all that are named, or none.
type DismissRequest struct {
	Target string   `json:"target"`
	IDs    []string `json:"ids,omitempty"` // at most [MaxReplayIDs]
	All    bool     `json:"all,omitempty"`
}

// DismissReport is the answer of POST /v1/dismiss.
type DismissReport struct {
	Target    string `json:"target"`
	Dismissed int    `json:"dismissed"`  // burials
	BuriedNow int    `json:"buried_now"` // those left
}
