package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	"agentctl/agent/config"
	"agentctl/agent/gossip"
)

// exitConfig is the exit status for a configuration that is wrong: EX_CONFIG of
// sysexits.h.
const exitConfig = 78

type checkCommand struct{}

func (*checkCommand) Synopsis() string {
	return "Checks a configuration or a journal, and starts nothing"
}

func (*checkCommand) Help() string {
	return `Usage: agentctl check [options]

  Takes the options of "agentctl agent", its variables of the environment and
  its configuration files. Prints what an agent would run with them, and starts
  nothing. The exit status is 0 if all is well, and 78 otherwise, with a line
  for each problem.

  With -data-dir it also reads the journal of an agent that does not run, and
  changes nothing. The exit status is 78 if the journal is damaged, and 1 if it
  cannot be read. -data-dir alone checks only the journal.

Options:

  -data-dir=DIR  Check the journal in this directory.
  -example       Print an example of a configuration file, with comments: a key
                 that begins with // is one.
  -presets       List the presets of targets, with what each sends.
  -format=text|json
                 Form of the output, text by default; json is one object, with
                 "configuration" and "journal", or with "presets".
  All options of "agentctl agent".

Examples:

  agentctl check -config-file=/etc/agentctl/agent.json
  agentctl check -data-dir=/var/lib/agentctl
  agentctl check -example > agent.json
  agentctl check -presets`
}

// checkResult is what was checked.
type checkResult struct {
	Configuration *configCheck  `json:"configuration,omitempty"`
	Journal       *journalCheck `json:"journal,omitempty"`
}

// configCheck is what was found of a configuration.
type configCheck struct {
	OK       bool     `json:"ok"`
	Problems []string `json:"problems,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	Summary  []string `json:"summary,omitempty"` // what an agent would run
}

func (c *checkCommand) Run(args []string) int {
	fs := newFlags("check")
	example := fs.Bool("example", false, "")
	presets := fs.Bool("presets", false, "")
	format := fs.String("format", "text", "")
	conf, err := compileOptions(fs, config.DefaultOptions(), args)
	if !isUsage(err) {
		if *example {
			fmt.Print(exampleConfig)
			return 0
		}
		if formatErr := checkFormat(*format); formatErr != nil {
			err = formatErr
		} else if *presets {
			return printed(printPresets(os.Stdout, *format))
		}
	}
	if isUsage(err) {
		printErrors("agentctl check", err)
		return exitConfig
	}
	var result checkResult
	dir, others := given(fs)
	if !dir || others {
		result.Configuration = checkConfig(conf, err)
	}
	// A directory that only a file names is most likely an agent's that runs.
	if dir {
		result.Journal = checkJournal(fs.Lookup("data-dir").Value.String())
	}
	if *format == "json" {
		err = writeLine(os.Stdout, &result)
	} else {
		err = result.print()
	}
	return max(printed(err), result.exit())
}

// printed is the exit status of what was to be printed.
func printed(err error) int {
	if err != nil {
		printErrors("agentctl check", err)
		return 1
	}
	return 0
}

// given tells whether -data-dir was, and other flags of an agent.
func given(fs *flag.FlagSet) (dir, others bool) {
	fs.Visit(func(f *flag.Flag) {
		dir = dir || f.Name == "data-dir"
		others = others || f.Name != "data-dir" && f.Name != "format"
	})
	return dir, others
}

// checkConfig tells what came of compiling a configuration, and whether this
// machine has the addresses that it asks for.
func checkConfig(conf *config.Config, err error) *configCheck {
	c := &configCheck{}
	if err == nil {
		c.Warnings = conf.Warnings
		if err = gossip.Check(conf); err == nil {
			c.Summary = conf.Summary()
		}
	} else if e, ok := errors.AsType[*config.Error](err); ok {
		c.Warnings = e.Warnings
	}
	c.OK, c.Problems = err == nil, errorLines(err)
	return c
}

// exit is the worst exit status of those of the parts.
func (r *checkResult) exit() (code int) {
	if r.Configuration != nil && !r.Configuration.OK {
		code = exitConfig
	}
	if r.Journal != nil {
		code = max(code, r.Journal.exit())
	}
	return code
}

func (r *checkResult) print() error {
	if c := r.Configuration; c != nil && !c.OK {
		for _, line := range c.Problems {
			fmt.Fprintf(os.Stderr, "agentctl check: %s\n", line)
		}
	} else if c != nil {
		for _, w := range c.Warnings {
			fmt.Println("warning:", w)
		}
		for _, line := range c.Summary {
			fmt.Println(line)
		}
		if r.Journal != nil {
			fmt.Println()
		}
	}
	if r.Journal != nil {
		return r.Journal.print(os.Stdout, os.Stderr)
	}
	return nil
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
      "// preset": "agentctl check -presets lists them, with what each sends.",
      "name": "cache",
      "preset": "varnish-purge",
      "url": "http://127.0.0.1:6081"
    },
    {
      "name": "search",
      "events": "user:product",
      "// templates": "Values of the event's JSON in URL, headers and body, each escaped for its place.",
      "url": "http://127.0.0.1:9200/products/{{.sku}}?refresh=true",
      "method": "PUT",
      "headers": {"X-Reason": "\"{{.reason}}\""},
      "body": "{\"name\": {{.name}}, \"event\": \"{{event.id}}\"}",
      "timeout": "2s",
      "// done_codes": "Codes that mean something else than usual; so do retry_codes and bury_codes.",
      "done_codes": [409]
    }
  ]
}
`
