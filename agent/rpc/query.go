package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/rpcclient/wire"
)

// answerQueue is how many records of one query wait in the server; more stay
// in serf's own buffers, whose size is twice the number of members.
const answerQueue = 256

var errInvalidQueryID = errors.New(wire.ErrInvalidQueryID)

func (c *session) query(r request[wire.QueryRequest]) (none, error) {
	// Serf's own queries change keys; the one that reachability needs is let through.
	if strings.HasPrefix(r.body.Name, serf.InternalQueryPrefix) &&
		(r.body.Name != serf.InternalQueryPrefix+"ping" || len(r.body.Payload) > 0) {
		return none{}, fmt.Errorf("Queries cannot contain the '%s' prefix", serf.InternalQueryPrefix)
	}
	q := c.newQueue(r.Seq, kindQuery, answerQueue)
	ctx, cancel := context.WithCancel(c.ctx)
	q.stop = cancel
	if err := c.out.add(q); err != nil { // before the query: it cannot be taken back
		cancel()
		return none{}, err
	}
	resp, err := c.backend.Query(r.body.Name, r.body.Payload, &serf.QueryParam{
		FilterNodes: r.body.FilterNodes,
		FilterTags:  r.body.FilterTags,
		RequestAck:  r.body.RequestAck,
		RelayFactor: r.body.RelayFactor,
		Timeout:     r.body.Timeout,
	})
	if err != nil {
		c.sampled.Log(slog.LevelWarn, "a query was not sent", time.Second, "client", c.name, "error", err)
		c.out.remove(r.Seq)
		return none{}, err
	}
	c.then = func() {
		c.out.release(q)
		c.queries.Go(func() {
			defer cancel()
			streamAnswers(ctx, resp, q)
		})
	}
	return none{}, nil
}

// streamAnswers passes what comes for a query on to q, and ends q with a done
// record at the query's end. It returns early if q or ctx ends.
func streamAnswers(ctx context.Context, resp *serf.QueryResponse, q *queue) {
	defer resp.Close()
	timer := time.NewTimer(time.Until(resp.Deadline()))
	defer timer.Stop()
	put := func(r wire.QueryRecord) bool { return q.putWait(ctx, mustEncode(r), false) }
	acks, answers := resp.AckCh(), resp.ResponseCh()
	for acks != nil || answers != nil {
		ok := true
		select {
		case from, open := <-acks:
			if !open {
				acks = nil
				continue
			}
			ok = put(wire.QueryRecord{Type: wire.QueryAck, From: from})
		case r, open := <-answers:
			if !open {
				answers = nil
				continue
			}
			ok = put(wire.QueryRecord{Type: wire.QueryResponse, From: r.From, Payload: r.Payload})
		case <-timer.C:
			resp.Close() // what has come is still in the channels, then they end
		case <-ctx.Done():
			ok = false
		}
		if !ok {
			return
		}
	}
	q.putWait(ctx, mustEncode(wire.QueryRecord{Type: wire.QueryDone}), true)
}

func (c *session) respond(r request[wire.RespondRequest]) (none, error) {
	q := c.pending.find(r.body.ID)
	if q == nil {
		return none{}, errInvalidQueryID
	}
	return none{}, q.Respond(r.body.Payload)
}

// maxPending is how many queries a connection may respond to; with more, the
// oldest is forgotten.
const maxPending = 1024

// pending holds the queries that a client has seen on a stream, until their
// deadlines. The zero value is ready, and safe for concurrent use.
type pending struct {
	mu      sync.Mutex
	last    uint64 // ID; they are given in order
	first   uint64 // all before it are forgotten
	queries map[uint64]pendingQuery
}

type pendingQuery struct {
	*serf.Query
	deadline time.Time // a copy: responding writes the query's own
}

// add returns a new ID for q.
func (p *pending) add(q *serf.Query, deadline time.Time) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for ; p.first <= p.last; p.first++ {
		old, ok := p.queries[p.first]
		if ok && len(p.queries) < maxPending && now.Before(old.deadline) {
			break
		}
		delete(p.queries, p.first)
	}
	p.last++
	if now.Before(deadline) {
		if p.queries == nil {
			p.queries = make(map[uint64]pendingQuery)
		}
		p.queries[p.last] = pendingQuery{q, deadline}
	}
	return p.last
}

// find returns the query with that ID, or nil where there is none, or not any
// more.
func (p *pending) find(id uint64) *serf.Query {
	p.mu.Lock()
	defer p.mu.Unlock()
	q, ok := p.queries[id]
	if !ok || !time.Now().Before(q.deadline) {
		delete(p.queries, id)
		return nil
	}
	return q.Query
}
