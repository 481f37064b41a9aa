package rpc

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/logutils"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/logs"
	"agentctl/handler"
	"agentctl/rpcclient/wire"
)

// maxFilter is the length in bytes of a stream's event filter: each part of it
// is compared with each event.
const maxFilter = 4096

var (
	errInvalidFilter = errors.New(wire.ErrInvalidFilter)
	errMonitorExists = errors.New(wire.ErrMonitorExists)
)

// hub passes the agent's events on to the streams of all connections, from one
// subscription: an event is encoded once, and a query's deadline is read before
// any client can respond to it.
type hub struct {
	subscribe func(func(serf.Event)) (cancel func())

	attaching sync.Mutex // before mu
	cancel    func()     // of the subscription, while there are streams

	mu      sync.Mutex
	streams map[*stream]none
}

// stream is what one stream request asked for.
type stream struct {
	filters handler.Filters
	queue   *queue
	pending *pending
}

// add has a stream get events. The first one subscribes: an agent without streams need not
// be told of events.
func (h *hub) add(s *stream) {
	h.attaching.Lock()
	defer h.attaching.Unlock()
	if h.change(func() { h.streams[s] = none{} }) == 1 {
		h.cancel = h.subscribe(h.publish)
	}
}

func (h *hub) remove(s *stream) {
	h.attaching.Lock()
	defer h.attaching.Unlock()
	if h.change(func() { delete(h.streams, s) }) == 0 && h.cancel != nil {
		h.cancel()
		h.cancel = nil
	}
}

// change changes the streams, and tells how many there are then.
func (h *hub) change(do func()) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	do()
	return len(h.streams)
}

// publish queues e on each stream whose filter it passes.
func (h *hub) publish(e serf.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.streams) == 0 {
		return
	}
	var typ, name string
	var record any
	var deadline time.Time
	query, isQuery := e.(*serf.Query)
	switch e := e.(type) {
	case serf.MemberEvent:
		typ = e.EventType().String()
		record = wire.MemberEventRecord{Event: typ, Members: wireMembers(e.Members)}
	case serf.UserEvent:
		typ, name = "user", e.Name
		record = wire.UserEventRecord{
			Event: typ, LTime: uint64(e.LTime), Name: e.Name, Payload: e.Payload, Coalesce: e.Coalesce,
		}
	case *serf.Query:
		typ, name, deadline = "query", e.Name, e.Deadline()
	default:
		return // there are no others
	}
	var body []byte
	for s := range h.streams {
		if !s.filters.Match(handler.Type(typ), name) {
			continue
		}
		if isQuery { // its ID differs from client to client
			record = wire.QueryEventRecord{
				Event: typ, ID: s.pending.add(query, deadline), LTime: uint64(query.LTime),
				Name: query.Name, Payload: query.Payload,
			}
		}
		if body == nil || isQuery {
			body = mustEncode(record)
		}
		s.queue.put(body)
	}
}

func (c *session) stream(r request[wire.StreamRequest]) (none, error) {
	if len(r.body.Type) > maxFilter {
		return none{}, errInvalidFilter
	}
	filters, err := handler.ParseFilters(r.body.Type)
	if err != nil {
		return none{}, errInvalidFilter
	}
	s := &stream{filters: filters, pending: &c.pending}
	s.queue = c.newQueue(r.Seq, kindEvent, c.cfg.streamQueue)
	s.queue.stop = func() { c.hub.remove(s) }
	if err := c.out.add(s.queue); err != nil {
		return none{}, err
	}
	c.hub.add(s)
	c.then = func() { c.out.release(s.queue) }
	return none{}, nil
}

var logLevels = []logutils.LogLevel{"TRACE", "DEBUG", "INFO", "WARN", "ERR"}

func (c *session) startMonitor(r request[wire.MonitorRequest]) (none, error) {
	level := logutils.LogLevel(strings.ToUpper(r.body.LogLevel))
	switch {
	case !slices.Contains(logLevels, level):
		return none{}, fmt.Errorf("Unknown log level: %.40s", level)
	case c.monitor != nil:
		return none{}, errMonitorExists
	}
	least, err := logs.ParseLevel(string(level))
	if err != nil {
		return none{}, err
	}
	filter := &logutils.LevelFilter{Levels: logLevels, MinLevel: level}
	q := c.newQueue(r.Seq, kindLog, max(c.cfg.streamQueue/8, 1))
	q.notice = lostLines
	// The subscription may call before it is known how to cancel it; stop is
	// called only by this goroutine, hence after.
	var cancel func()
	q.stop = func() { cancel() }
	if err := c.out.add(q); err != nil {
		return none{}, err
	}
	cancel = c.backend.SubscribeLogs(least, func(line string) {
		if filter.Check([]byte(line)) {
			q.put(mustEncode(wire.LogRecord{Log: line}))
		}
	})
	c.monitor = q
	c.then = func() { c.out.release(q) }
	return none{}, nil
}

// lostLines is the record that stands in for n lines a monitor did not get.
func lostLines(n int) []byte {
	return mustEncode(wire.LogRecord{Log: fmt.Sprintf(
		"%s [WARN] agent.ipc: %d log lines are missing here: this monitor reads too slowly",
		time.Now().Format("2006/01/02 15:04:05"), n)})
}

// stop ends a stream, a monitor or a query; with none of that Seq it does
// nothing, as with stock serf.
func (c *session) stop(r request[wire.StopRequest]) (none, error) {
	if q := c.out.remove(r.body.Stop); q != nil && q == c.monitor {
		c.monitor = nil
	}
	return none{}, nil
}

// newQueue returns a queue of this connection for records under seq.
func (c *session) newQueue(seq uint64, kind string, records int) *queue {
	return &queue{
		seq:     seq,
		head:    mustEncode(wire.ResponseHeader{Seq: seq}),
		max:     records,
		counter: c.metrics.dropped.WithLabelValues(kind),
	}
}

// mustEncode encodes a value of package wire, all of which can be encoded.
func mustEncode(v any) []byte {
	b, err := encode(v)
	if err != nil {
		panic(fmt.Sprintf("rpc: encoding %T: %v", v, err))
	}
	return b
}
