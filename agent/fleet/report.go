package fleet

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/api"
)

// Report asks all members how they are. It takes some milliseconds if all answer, and 2.9
// seconds at most.
func (f *Fleet) Report(ctx context.Context) api.ClusterReport {
	known := f.gather(ctx)
	all, living := f.everyone()
	r := api.ClusterReport{Node: f.cfg.Self, Time: time.Now(), Members: []api.MemberReport{}}
	status := f.cfg.Status()
	alive := status.Members["alive"]
	if here := known[f.cfg.Self].answer; here != nil { // of the moment at which the others answered
		alive = here.Members["alive"]
	}
	served := map[string][]string{}
	if status.Trees != nil {
		for _, s := range status.Trees.Served {
			served[s.Member] = s.By
		}
	}
	for _, m := range all {
		s, asked := known[m.Name]
		if !asked {
			s = said{state: api.AnswerNone, err: "no answer within " + patience.String()}
			if m.Status == serf.StatusAlive && !f.cfg.Peers.Knows(m.Name) {
				s.err = "it has not said yet whether it is an agent"
			}
		}
		if s.state == api.AnswerNone && m.Status == serf.StatusFailed {
			s.state = api.AnswerFailed
		}
		of := api.MemberReport{
			Node: m.Name, Status: m.Status.String(), Protocol: int(m.DelegateMax),
			Answer: s.state, Error: s.err, ServedBy: served[m.Name],
		}
		of.ByGossip = s.state == api.AnswerStock && status.Trees != nil && len(of.ServedBy) == 0
		if m.Addr != nil {
			of.Addr = net.JoinHostPort(m.Addr.String(), strconv.Itoa(int(m.Port)))
		}
		if s.answer != nil {
			of.Says, of.Problems = &s.answer.OwnStatus, s.answer.problems
		}
		of.Problems = append(of.Problems, f.seen(m, s, living[m.Name], alive)...)
		r.Members = append(r.Members, of)
		countIn(&r, &of)
	}
	slices.SortFunc(r.Members, func(a, b api.MemberReport) int { return strings.Compare(a.Node, b.Node) })
	return r
}

// countIn counts a member in the summary.
func countIn(r *api.ClusterReport, m *api.MemberReport) {
	switch {
	case len(m.Problems) > 0:
		r.NotWell++
	case m.Answer == api.AnswerStock:
		r.Stock++
	case m.Answer == api.AnswerFormer:
		r.Former++
	case m.Answer == api.AnswerLeft:
		r.Left++
	default:
		r.Well++
	}
}

// seen are the problems with a member that this node sees. It counts so many members alive.
func (f *Fleet) seen(m serf.Member, s said, living bool, alive int) (problems []api.Problem) {
	add := func(do string, here bool, format string, args ...any) {
		problems = append(problems, api.Problem{Text: fmt.Sprintf(format, args...), Do: do, Here: here})
	}
	switch {
	case s.state == api.AnswerFailed:
		add("agentctl reachability", true, "serf takes it for failed")
	case s.state == api.AnswerNone:
		add("agentctl status", false, "it was asked how it is: %s", s.err)
	case m.Status == serf.StatusLeft && living && s.state != api.AnswerLeft:
		add("agentctl members", true, "it is no member, or has left, and still runs")
	case m.Status == serf.StatusFailed:
		add("agentctl reachability", true, "serf takes it for failed, and it has answered")
	}
	if s.answer != nil && m.Name != f.cfg.Self {
		if theirs := s.answer.Members["alive"]; theirs != alive {
			add("agentctl members", false, "it counts %d alive members, and %s counts %d", theirs, f.cfg.Self, alive)
		}
	}
	return problems
}
