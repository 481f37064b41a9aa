package script

import (
	"context"
	"log/slog"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/logs"
	"agentctl/handler"
	"agentctl/handler/target"
)

// poster posts one event to one target, once. *[target.Poster] is it.
type poster interface {
	Post(ctx context.Context, e *handler.Event) (target.Response, error)
}

// NewQueryRunner posts queries to a target and answers them with the body that
// comes back. A query lives for seconds, so it is tried once, within its
// deadline, and is not put in the journal. The poster may send it again if a kept
// connection turns out to be closed.
func NewQueryRunner(target string, filters handler.Filters, p poster, logger *slog.Logger, m *Metrics) *Runner {
	sampled := &logs.Sampled{Logger: logger.With("target", target)}
	return NewRunner(target, filters, logger, m, func(ctx context.Context, t Task) {
		q, ok := t.Event.(*serf.Query)
		if !ok {
			return
		}
		ctx, cancel := context.WithDeadline(ctx, t.Deadline)
		defer cancel()
		event := handler.NewQuery(uint64(q.LTime), q.Name, q.Payload, time.Now())
		res, err := p.Post(ctx, &event)
		if err != nil {
			sampled.Log(slog.LevelWarn, "query was not answered: the target did not take it", time.Second, "query", q.Name, "error", err)
			return
		}
		if len(res.Body) == 0 {
			return
		}
		if err := q.Respond(res.Body); err != nil {
			sampled.Log(slog.LevelWarn, "query was not answered", time.Second, "query", q.Name, "error", err)
		}
	})
}

// QueriesOnly keeps the filters that let queries pass.
func QueriesOnly(fs handler.Filters) handler.Filters {
	var out handler.Filters
	for _, f := range fs {
		switch f.Type {
		case "*":
			out = append(out, handler.Filter{Type: handler.Query})
		case handler.Query:
			out = append(out, f)
		}
	}
	return out
}
