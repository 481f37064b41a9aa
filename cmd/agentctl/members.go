package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/hashicorp/serf/cmd/serf/command"
	serfagent "github.com/hashicorp/serf/cmd/serf/command/agent"

	"agentctl/rpcclient"
	"agentctl/rpcclient/wire"
)

// membersCommand is serf's members command, with names and tags that cannot forge rows or
// columns.
type membersCommand struct{ command.MembersCommand }

func (c *membersCommand) Run(args []string) int {
	fs := flag.NewFlagSet("members", flag.ContinueOnError)
	fs.Usage = func() { c.Ui.Output(c.Help()) }
	detailed := fs.Bool("detailed", false, "")
	role := fs.String("role", "", "")
	format := fs.String("format", "text", "")
	var filter wire.MembersFilteredRequest
	fs.StringVar(&filter.Status, "status", "", "")
	fs.StringVar(&filter.Name, "name", "", "")
	var tags []string
	fs.Var((*serfagent.AppendSliceValue)(&tags), "tag", "")
	dial := serfDial(rpcFlags(fs))
	if fs.Parse(args) != nil {
		return 1
	}
	if *role != "" {
		c.Ui.Output("Deprecation warning: 'Role' has been replaced with 'Tags'")
		tags = append(tags, "role="+*role)
	}
	var err error
	if filter.Tags, err = serfagent.UnmarshalTags(tags); err != nil {
		c.Ui.Error(fmt.Sprintf("Error: %s", err))
		return 1
	}
	client, err := dial(context.Background())
	if err != nil {
		c.Ui.Error(err.Error())
		return 1
	}
	defer client.Close()
	members, err := client.MembersFiltered(context.Background(), filter)
	if err != nil {
		c.Ui.Error(fmt.Sprintf("Error retrieving members: %s", err))
		return 1
	}
	out, err := membersText(members, *format, *detailed)
	if err != nil {
		c.Ui.Error(fmt.Sprintf("Encoding error: %s", err))
		return 1
	}
	tableUI(c.Ui).Output(out)
	return 0
}

// memberReport is a member in JSON, with serf's keys.
type memberReport struct {
	Name   string            `json:"name"`
	Addr   string            `json:"addr"`
	Port   uint16            `json:"port"`
	Tags   map[string]string `json:"tags"`
	Status string            `json:"status"`
	Proto  map[string]uint8  `json:"protocol"`
}

func membersText(members []wire.Member, format string, detailed bool) (string, error) {
	reports := []memberReport(nil) // serf has null for none
	for _, m := range members {
		addr, _ := netip.AddrFromSlice(m.Addr)
		reports = append(reports, memberReport{m.Name, netip.AddrPortFrom(addr.Unmap(), m.Port).String(), m.Port, m.Tags, m.Status,
			map[string]uint8{"min": m.DelegateMin, "max": m.DelegateMax, "version": m.DelegateCur}})
	}
	switch format {
	case "json":
		return jsonText(map[string]any{"members": reports})
	case "text":
	default:
		return "", fmt.Errorf("Invalid output format %q", format)
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, m := range reports {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s", column(m.Name), m.Addr, column(m.Status), tagList(m.Tags))
		if detailed {
			fmt.Fprintf(w, "\tProtocol Version: %d\tAvailable Protocol Range: [%d, %d]", m.Proto["version"], m.Proto["min"], m.Proto["max"])
		}
		fmt.Fprintln(w)
	}
	err := w.Flush()
	return strings.TrimSpace(b.String()), err
}

// column is a text in full, as it may stand in a table: quoted where it would be none or
// several columns.
func column(s string) string {
	if s == "" || strings.ContainsAny(s, " \"") {
		return strconv.Quote(s)
	}
	return printable([]byte(s), len(s))
}

// tagList is tags as serf has them, k=v with commas between. A key or a value that would
// look like another tag is quoted.
func tagList(tags map[string]string) string {
	var pairs []string
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		pairs = append(pairs, tagPart(k, "=,\"")+"="+tagPart(tags[k], ",\""))
	}
	return strings.Join(pairs, ",")
}

func tagPart(s, marks string) string {
	if strings.ContainsAny(s, marks) || strings.Contains(s, "  ") {
		return strconv.Quote(s)
	}
	return printable([]byte(s), len(s))
}

// serfDial returns a function that connects to an agent, once its flags are read. The
// error of that is in serf's words.
func serfDial(addr, key *string) func(context.Context) (*rpcclient.Client, error) {
	return func(ctx context.Context) (*rpcclient.Client, error) {
		client, err := rpcclient.Dial(ctx, rpcclient.Config{Addr: *addr, AuthKey: *key})
		if err != nil {
			return nil, fmt.Errorf("Error connecting to Serf agent: %w", err)
		}
		return client, nil
	}
}
