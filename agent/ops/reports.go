package ops

import (
	"unicode/utf8"

	"agentctl/agent/api"
	"agentctl/agent/version"
	"agentctl/handler/delivery"
	"agentctl/handler/journal"
	"agentctl/handler/journal/disk"
)

// The functions of this file say in the API's words what other packages say in
// theirs.

// newEventReport is the report of an event without its outcomes.
func newEventReport(rec *journal.Record) api.EventReport {
	e := &rec.Event
	r := api.EventReport{
		Seq: rec.Seq, ID: e.ID, Time: e.Time, Type: e.Type, Name: e.Name, LTime: e.LTime,
		Size: len(e.Payload), Targets: map[string]api.OutcomeReport{},
	}
	if utf8.Valid(e.Payload) {
		r.Payload = string(e.Payload)
	} else {
		r.PayloadBase64 = e.Payload
	}
	return r
}

func newDiskReport(s *disk.Status) *api.DiskReport {
	return &api.DiskReport{
		Degraded: s.Degraded, Since: s.Since, Error: s.Error,
		Unwritten: s.Unwritten, UnwrittenBytes: s.UnwrittenBytes,
		Durable: s.Durable, Duplicates: s.Duplicates,
		Commits: s.Commits, Failures: s.Failures, Degrades: s.Degrades,
	}
}

func newTargetReport(s *delivery.Status, buriedNow int) api.TargetReport {
	return api.TargetReport{
		Target: s.Target, State: api.TargetState(s.State), Since: s.Since,
		LastError: s.LastError, LastErrorTime: s.LastErrorTime, Attempts: s.Attempts,
		NextAttempt: s.NextAttempt, NextWhy: api.Why(s.NextWhy),
		Waiting: s.Waiting, InFlight: s.InFlight, OldestWaiting: s.OldestWaiting, LastDelivered: s.LastDelivered,
		Delivered: s.Delivered, Retried: s.Retried, Buried: s.Buried, Outdated: s.Outdated, Collapsed: s.Collapsed,
		Lost: s.Lost, Expired: s.Expired, GapSince: s.GapSince, GapReason: s.GapReason,
		Flushes: s.Flushes, FlushesRetried: s.FlushesRetried, FlushesRefused: s.FlushesRefused, LastFlush: s.LastFlush,
		Latency: api.Quantiles(s.Latency), AttemptLatency: api.Quantiles(s.AttemptLatency),
		BuriedNow: buriedNow,
	}
}

// status is how the agent stands.
func (s *Server) status() api.StatusReport {
	report := api.StatusReport{
		Node:     s.cfg.Node,
		Version:  version.Version,
		State:    s.cfg.State(),
		Joined:   s.cfg.Joined(),
		Members:  map[string]int{},
		Warnings: s.cfg.Warns(),
		Journal:  s.journal(),
		Targets:  []api.TargetReport{},
	}
	if s.cfg.Trees != nil {
		report.Trees = s.cfg.Trees()
	}
	if s.cfg.Links != nil {
		report.Links = s.cfg.Links()
	}
	for _, m := range s.cfg.Members() {
		report.Members[m.Status.String()]++
	}
	for _, t := range s.cfg.Targets() {
		status := t.Delivery.Status()
		cursor, _ := s.cfg.Journal.CursorStatus(t.Name)
		report.Targets = append(report.Targets, newTargetReport(&status, cursor.Buried))
	}
	return report
}

// journal is how the journal stands.
func (s *Server) journal() api.JournalReport {
	r := api.JournalReport{Head: s.cfg.Journal.Head()}
	for rec, err := range s.cfg.Journal.Events(0) {
		if err != nil {
			break // it is closed
		}
		r.Oldest = rec.Event.Time
		r.Retained = max(r.Head, rec.Seq) - rec.Seq + 1 // the numbers have no gaps
		break
	}
	if disk, ok := s.cfg.Disk(); ok {
		r.DataDir, r.Disk = s.cfg.DataDir, newDiskReport(&disk)
	}
	return r
}
