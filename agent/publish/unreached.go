package publish

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/serf/serf"
)

// unreachedNames is how many members a warning names.
const unreachedNames = 10

// unreachedPoll is how often unreached looks whether a member has answered.
const unreachedPoll = 20 * time.Millisecond

// unreached names the members that get no large event, as far as is known. It
// waits for those that were asked a moment ago whether they do.
func (p *Publisher) unreached(ctx context.Context) (names []string) {
	poll := time.NewTicker(unreachedPoll)
	defer poll.Stop()
	for {
		names = names[:0]
		open := false
		for _, m := range p.cfg.Node.Reachable() {
			if m.Status != serf.StatusAlive || m.Name == p.cfg.Self || p.cfg.Peers.Is(m.Name) {
				continue
			}
			names = append(names, m.Name)
			open = open || p.cfg.Peers.MayAnswer(m.Name, time.Now())
		}
		if !open {
			slices.Sort(names)
			return names
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return names
		}
	}
}

// warning says which members get no large event, "" where all do.
func (p *Publisher) warning(names []string) string {
	if len(names) == 0 {
		return ""
	}
	named := strings.Join(names[:min(len(names), unreachedNames)], ", ")
	if more := len(names) - unreachedNames; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("%d of the cluster's members get no event of over %d bytes, as they are not agentctl, or have no peer links: %s",
		len(names), p.cfg.Limit, named)
}
