package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"agentctl/handler/text"
)

// Summary says, in a few lines, what an agent would run with the configuration.
func (c *Config) Summary() []string {
	lines := []string{
		fmt.Sprintf("node      %s, profile %s, gossip on %s, encrypted: %v", c.NodeName, c.Profile, c.Bind, len(c.Keys) > 0),
	}
	if len(c.NodeTags) > 0 {
		lines = append(lines, "tags      "+tagLine(c.NodeTags))
	}
	lines = append(lines,
		fmt.Sprintf("rpc       %s", c.RPCAddr),
		fmt.Sprintf("http      %s", c.HTTPAddr),
		fmt.Sprintf("journal   %s; at most %d events or %v of history, and %d that wait for each target",
			cmp.Or(c.DataDir, "in memory"), c.JournalMaxEvents, c.JournalMaxAge, c.QueueMaxEvents),
	)
	if joins := slices.Concat(c.StartJoin, c.RetryJoin); len(joins) > 0 {
		lines = append(lines, "join      "+strings.Join(joins, ", "))
	}
	for _, t := range c.Handlers.Targets {
		line := fmt.Sprintf("target    %s: %s %s for %s", t.Name, t.Method, t.Endpoint(), t.Filters)
		if script := c.Handlers.Native[t.Name]; script != "" {
			line += ", in place of " + script
		}
		lines = append(lines, line+"; flush: "+t.FlushLine())
	}
	for _, s := range c.Handlers.Scripts {
		lines = append(lines, fmt.Sprintf("script    %s for %s", text.Redact(s.Command), s.Filters))
	}
	return lines
}

// tagLine is a node's tags as -tag takes them, by key.
func tagLine(tags map[string]string) string {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		pairs = append(pairs, text.Shorten(key+"="+tags[key], 100))
	}
	return strings.Join(pairs, ", ")
}
