package main

import (
	"fmt"

	"agentctl/agent"
)

// exitConfig is the exit status for a configuration that is wrong: EX_CONFIG of
// sysexits.h.
const exitConfig = 78

type checkCommand struct{}

func (*checkCommand) Synopsis() string { return "Checks a configuration without starting anything" }

func (*checkCommand) Help() string {
	return `Usage: agentctl check [options]

  Takes the options of "agentctl agent", its variables of the environment and
  its configuration files, and says what an agent would run with them, without
  starting it. The exit status is 0 if all is well, and 78 otherwise, with a
  line for each problem.

Options:

  -example   Print an example of a configuration file, with comments: a key that
             begins with // is one.
  All options of "agentctl agent".

Examples:

  agentctl check -config-file=/etc/agentctl/agent.json
  agentctl check -example > agent.json`
}

func (c *checkCommand) Run(args []string) int {
	fs := newFlags("check")
	example := fs.Bool("example", false, "")
	opts, warnings, err := loadOptions(fs, agent.DefaultOptions(), args)
	if *example && !isUsage(err) {
		fmt.Print(exampleConfig)
		return 0
	}
	var summary []string
	if err == nil {
		summary, err = opts.Check()
	}
	if err != nil {
		printErrors("agentctl check", err)
		return exitConfig
	}
	for _, w := range warnings {
		fmt.Println("warning:", w)
	}
	for _, line := range summary {
		fmt.Println(line)
	}
	return 0
}

// exampleConfig is a configuration file that can be used as it is.
const exampleConfig = `{
  "//": "An example of agentctl's configuration. Keys that begin with // are comments.",
  "//1": "All keys of serf's own configuration files can be used too.",

  "// node_name": "Unique in the cluster. Left out, it is the host's name.",
  "node_name": "gateway-1",
  "tags": {"role": "gateway"},

  "// bind": "Where to listen for gossip, TCP and UDP.",
  "bind": "0.0.0.0:7946",
  "// profile": "Timing of the gossip: lan, wan or local.",
  "profile": "lan",

  "// retry_join": "Tried until one answers. Names are looked up anew each time; dns+srv://name takes SRV records.",
  "retry_join": ["gateway-2.example.org", "gateway-3.example.org:7946"],
  "retry_interval": "30s",

  "// rpc_addr": "Where serf's clients and \"agentctl event\" find the agent: host:port or unix:/path.",
  "rpc_addr": "127.0.0.1:7373",
  "// http_addr": "Health, metrics and status, or off.",
  "http_addr": "127.0.0.1:7374",

  "log_level": "info",
  "log_format": "text",
  "drain_timeout": "10s",

  "// event_handlers": "Filter and script as in serf, or filter and URL.",
  "event_handlers": ["member-failed=logger a gateway failed"],

  "// targets": "Where events are posted. preset kong takes member events and user:kong to /cluster/events/.",
  "targets": [
    {
      "name": "kong",
      "preset": "kong",
      "url": "http://127.0.0.1:8001"
    },
    {
      "name": "cache",
      "events": "user:purge",
      "url": "http://127.0.0.1:6081/",
      "method": "POST",
      "headers": {"X-Purge": "1"},
      "timeout": "2s",
      "// done_codes": "Codes that mean something else than usual; so do retry_codes and bury_codes.",
      "done_codes": [404]
    }
  ]
}
`
