package agent

import (
	"fmt"
	"io"
	"log"
	"slices"
	"strings"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/config"
	"agentctl/agent/gossip"
	"agentctl/handler/text"
)

// Check validates the options and says, in a few lines, what an agent would run
// with them. It opens nothing but the files that they name, for reading.
func Check(o *config.Options) ([]string, error) {
	set, err := o.CompileHandlers() // the one part of Validate that is needed here, too
	if err == nil {
		err = o.Validate()
	}
	var conf *serf.Config
	if err == nil {
		conf, err = gossip.Configure(o, log.New(io.Discard, "", 0)) // files that cannot be read
	}
	if err != nil {
		return nil, err
	}
	lines := []string{
		fmt.Sprintf("node      %s, profile %s, gossip on %s, encrypted: %v", o.NodeName, o.Profile, o.Bind, conf.MemberlistConfig.Keyring != nil),
		fmt.Sprintf("rpc       %s", o.RPCAddr),
		fmt.Sprintf("http      %s", o.HTTPAddr),
		fmt.Sprintf("journal   %s", o.JournalLine()),
	}
	if joins := slices.Concat(o.StartJoin, o.RetryJoin); len(joins) > 0 {
		lines = append(lines, "join      "+strings.Join(joins, ", "))
	}
	for _, t := range set.Targets {
		line := fmt.Sprintf("target    %s: %s %s for %s", t.Name, t.Method, t.Endpoint(), t.Filters)
		if script := set.Native[t.Name]; script != "" {
			line += ", in place of " + script
		}
		line += "; flush: " + t.FlushLine()
		lines = append(lines, line)
	}
	for _, s := range set.Scripts {
		lines = append(lines, fmt.Sprintf("script    %s for %s", text.Redact(s.Command), s.Filters))
	}
	return lines, nil
}
