package ops

import (
	"maps"
	"net/http"
	"slices"

	"agentctl/agent/api"
	"agentctl/handler"
)

// recipientsVersion begins a question for the targets that a user event would go to; its
// name follows. The answer is that for outcomes, with targets alone. An agent that does
// not know the question answers with an error.
const recipientsVersion = 2

// recipients are the targets here that a user event of this name would go to.
func (h *history) recipients(name string) nodeAnswer {
	a := nodeAnswer{Known: true, Targets: map[string]api.OutcomeReport{}}
	for _, t := range h.targets() {
		if t.Filters.Match(handler.User, name) {
			a.Targets[t.Name] = api.OutcomeReport{}
		}
	}
	return a
}

// recipients answers GET /v1/recipients. It publishes nothing.
func (s *Server) recipients(r *http.Request) (int, any, error) {
	query, err := parameters(r, "name")
	name := query["name"]
	switch {
	case err != nil:
		return 0, nil, err
	case name == "":
		return 0, nil, errorf(http.StatusBadRequest, "the query needs the event's name: name=kong")
	}
	leave, err := s.nodes.enter(r)
	if err != nil {
		return 0, nil, err
	}
	defer leave()
	known := s.nodes.settle(r.Context(), 3*nodesTime, question{
		request: append([]byte{recipientsVersion}, name...),
		here:    func() nodeAnswer { return s.history.recipients(name) },
		judge: func(r *api.NodeReport, a nodeAnswer) {
			r.State, r.Targets = api.NodeApplied, a.Targets // does not change
		},
	})
	return http.StatusOK, newRecipientsReport(name, known), r.Context().Err()
}

func newRecipientsReport(name string, known map[string]api.NodeReport) api.RecipientsReport {
	report := api.RecipientsReport{Name: name, Complete: true, Nodes: []api.RecipientReport{}}
	for _, node := range slices.Sorted(maps.Keys(known)) {
		of := known[node]
		r := api.RecipientReport{Node: node, State: of.State, Error: of.Error, Targets: slices.Sorted(maps.Keys(of.Targets))}
		if r.State == api.NodeApplied {
			r.State = api.NodeAnswered
		} else {
			report.Complete = false
		}
		report.Nodes = append(report.Nodes, r)
	}
	return report
}
