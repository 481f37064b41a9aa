package api

// HealthReport is the answer of GET /healthz and GET /readyz. The status is 200
// without reasons, and 503 with some.
type HealthReport struct {
	Status  string   `json:"status"`
	Reasons []string `json:"reasons,omitempty"`
	// Warnings say what is wrong and does not count: the agent does its work all the
	// same. Only of /readyz.
	Warnings []string `json:"warnings,omitempty"`
	// Targets are the states of all targets, by name; only of /readyz.
	Targets map[string]TargetState `json:"targets,omitempty"`
}

// OK tells whether nothing is wrong.
func (r *HealthReport) OK() bool { return len(r.Reasons) == 0 }
