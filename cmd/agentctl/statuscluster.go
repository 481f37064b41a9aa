package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"agentctl/agent/api"
)

// allListed is up to how many members all are listed. Of more, only those that are not well.
const allListed = 20

// memberColumns are the columns of memberRow.
const memberColumns = "NODE\tADDRESS\tVERSION\tSTATE\tITSELF\tMEMBERS\tLINKS\tTARGETS\tWAITING\tOLDEST\tLAST\tP99\tLOST\tFLUSHED"

// printCluster shows how all members are, by a node's report.
func printCluster(out io.Writer, r *api.ClusterReport, all bool) error {
	fmt.Fprintf(out, "cluster  %s\n\n", clusterSummary(r))
	listed := slices.Clone(r.Members)
	if !all && len(listed) > allListed {
		listed = slices.DeleteFunc(listed, func(m api.MemberReport) bool { return len(m.Problems) == 0 })
	}
	if len(listed) > 0 {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, memberColumns)
		for i := range listed {
			fmt.Fprintln(w, memberRow(&listed[i], r.Time))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if hidden := len(r.Members) - len(listed); hidden > 0 {
		fmt.Fprintf(out, "%s not listed, since nothing is wrong there; -all lists all\n", count(hidden, "member"))
	}
	for i, note := range clusterNotes(r) {
		if i == 0 {
			fmt.Fprintln(out)
		}
		if _, err := fmt.Fprintln(out, note); err != nil {
			return err
		}
	}
	return nil
}

func clusterSummary(r *api.ClusterReport) string {
	parts := []string{fmt.Sprintf("%d well", r.Well)}
	for _, of := range []struct {
		n    int
		what string
	}{{r.NotWell, "NOT WELL"}, {r.Stock, "stock serf"}, {r.Former, "of former versions"}, {r.Left, "left"}} {
		if of.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", of.n, of.what))
		}
	}
	return fmt.Sprintf("%s as %s sees it: %s", count(len(r.Members), "member"), word(r.Node), strings.Join(parts, ", "))
}

// memberRow is a member's row: its targets together, with the worst of each column.
func memberRow(m *api.MemberReport, now time.Time) string {
	cells := []string{word(m.Node), "-", "-", word(m.Status), word(string(m.Answer)), "-", "-", "-", "-", "-", "-", "-", "-", "-"}
	if m.Addr != "" {
		cells[1] = word(m.Addr)
	}
	switch {
	case m.Answer == api.AnswerStock:
		cells[2], cells[4], cells[7] = fmt.Sprintf("serf/%d", m.Protocol), "-", "served by each publisher"
		if m.ByGossip {
			cells[7] = "served by gossip alone"
		} else if len(m.ServedBy) > 0 {
			cells[7] = "served by " + names(m.ServedBy)
		}
	case m.Says != nil:
		s := m.Says
		cells[2], cells[4], cells[5], cells[6] = word(s.Version), word(s.State), strconv.Itoa(s.Members["alive"]), strconv.Itoa(s.Links)
		if len(s.Targets) > 0 {
			copy(cells[7:], targetCells(s, now))
		}
	}
	return strings.Join(cells, "\t")
}

// targetCells are the states of a member's targets, the worst first, and what they have
// together.
func targetCells(s *api.OwnStatus, now time.Time) []string {
	var states []string
	counted := map[api.TargetState]int{}
	for _, t := range s.Targets {
		if counted[t.State]++; counted[t.State] == 1 {
			states = append(states, string(t.State))
		}
	}
	all := together(s)
	for i, state := range states {
		states[i] = fmt.Sprintf("%d %s", counted[api.TargetState(state)], word(state))
	}
	if s.More > 0 {
		states = append(states, fmt.Sprintf("%d more", s.More))
	}
	quantiles := api.Quantiles{}
	if all.P99 > 0 {
		quantiles.Count = 1
	}
	return []string{strings.Join(states, ", "), strconv.Itoa(all.Waiting), age(all.OldestWaiting, now), ago(all.LastDelivered, now),
		seconds(&quantiles, all.P99), strconv.FormatUint(all.Lost, 10), strconv.FormatUint(all.Flushes, 10)}
}

// together are the numbers of a member's targets, the worst or the sum of each.
func together(s *api.OwnStatus) (all api.OwnTarget) {
	for _, t := range s.Targets {
		all.Waiting, all.Lost, all.Flushes, all.P99 = all.Waiting+t.Waiting, all.Lost+t.Lost, all.Flushes+t.Flushes, max(all.P99, t.P99)
		if all.OldestWaiting.IsZero() || !t.OldestWaiting.IsZero() && t.OldestWaiting.Before(all.OldestWaiting) {
			all.OldestWaiting = t.OldestWaiting
		}
		if t.LastDelivered.After(all.LastDelivered) {
			all.LastDelivered = t.LastDelivered
		}
	}
	return all
}

// mostNames is how many names are told one by one.
const mostNames = 3

// names are some names in a sentence.
func names(all []string) string {
	var some []string
	for _, name := range all[:min(len(all), mostNames)] {
		some = append(some, word(name))
	}
	if more := len(all) - len(some); more > 0 {
		some = append(some, fmt.Sprintf("%d more", more))
	}
	last := len(some) - 1
	if last == 0 {
		return some[0]
	}
	return strings.Join(some[:last], ", ") + " and " + some[last]
}

// clusterNotes say what is wrong, and which command mends it or shows more. What is the same
// at several nodes is said once.
func clusterNotes(r *api.ClusterReport) (notes []string) {
	at := map[api.Problem][]string{}
	var order []api.Problem
	for _, m := range r.Members {
		for _, p := range m.Problems {
			if at[p] == nil {
				order = append(order, p)
			}
			at[p] = append(at[p], m.Node)
		}
	}
	for _, p := range order {
		note := names(at[p]) + ": "
		if p.Target != "" {
			note += "target " + word(p.Target) + " is "
		}
		note += printable([]byte(p.Text), api.MaxOwnText)
		if p.Do != "" {
			there := "there"
			if p.Here {
				there = "on " + word(r.Node)
			}
			note += fmt.Sprintf("; run %q %s", printable([]byte(p.Do), api.MaxOwnText), there)
		}
		notes = append(notes, note)
	}
	return notes
}
