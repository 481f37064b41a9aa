package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/hashicorp/serf/cmd/serf/command"
	"github.com/mitchellh/cli"

	"agentctl/rpcclient"
	"agentctl/rpcclient/wire"
)

// keysCommand is serf's keys command, with names and answers of nodes that cannot forge
// rows.
type keysCommand struct{ command.KeysCommand }

func (c *keysCommand) Run(args []string) int {
	fs := flag.NewFlagSet("keys", flag.ContinueOnError)
	fs.Usage = func() { c.Ui.Output(c.Help()) }
	list := fs.Bool("list", false, "")
	install, use, remove := fs.String("install", "", ""), fs.String("use", "", ""), fs.String("remove", "", "")
	dial := serfDial(rpcFlags(fs))
	if fs.Parse(args) != nil {
		return 1
	}
	type change struct {
		key                string
		doing, done, fails string
		do                 func(*rpcclient.Client, string) (wire.KeyResponse, error)
	}
	changes := []change{
		{*install, "Installing key", "installed key", "installing key", func(cl *rpcclient.Client, key string) (wire.KeyResponse, error) {
			return cl.InstallKey(context.Background(), key)
		}},
		{*use, "Changing primary key", "changed primary key", "changing primary key", func(cl *rpcclient.Client, key string) (wire.KeyResponse, error) {
			return cl.UseKey(context.Background(), key)
		}},
		{*remove, "Removing key", "removed key", "removing key", func(cl *rpcclient.Client, key string) (wire.KeyResponse, error) {
			return cl.RemoveKey(context.Background(), key)
		}},
	}
	changes = slices.DeleteFunc(changes, func(ch change) bool { return ch.key == "" })
	switch n := len(changes); {
	case n > 1 || n == 1 && *list:
		c.Ui.Error("Only one of -install, -use, -remove, or -list allowed")
		return 1
	case n == 0 && !*list:
		c.Ui.Error(c.Help())
		return 1
	}
	client, err := dial(context.Background())
	if err != nil {
		c.Ui.Error(err.Error())
		return 1
	}
	defer client.Close()
	if *list {
		return c.list(client)
	}
	ch := changes[0]
	c.Ui.Info("==> " + ch.doing + " on all members...")
	if resp, err := ch.do(client, ch.key); err != nil {
		return c.failed(resp, fmt.Sprintf("Error %s: %s", ch.fails, err))
	}
	c.Ui.Info("==> Successfully " + ch.done + "!")
	return 0
}

func (c *keysCommand) list(client *rpcclient.Client) int {
	c.Ui.Info("==> Asking all members for installed keys...")
	resp, err := client.ListKeys(context.Background())
	if err != nil {
		return c.failed(resp, fmt.Sprintf("Failed to gather member keys: %s", err))
	}
	c.Ui.Info("==> Keys gathered, listing cluster keys...")
	c.Ui.Output("")
	var rows [][]string
	for _, key := range slices.Sorted(maps.Keys(resp.Keys)) {
		rows = append(rows, []string{column(key), fmt.Sprintf("[%d/%d]", resp.Keys[key], resp.NumNodes)})
	}
	table(c.Ui, rows)
	return 0
}

// failed tells which nodes failed, and why.
func (c *keysCommand) failed(resp wire.KeyResponse, problem string) int {
	var rows [][]string
	for _, node := range slices.Sorted(maps.Keys(resp.Messages)) {
		rows = append(rows, []string{"failed:", column(node), oneLine(resp.Messages[node])})
	}
	if len(rows) > 0 {
		table(c.Ui, rows)
	}
	c.Ui.Error("")
	c.Ui.Error(problem)
	return 1
}

// table prints rows whose cells are safe.
func table(ui cli.Ui, rows [][]string) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	w.Flush() // a strings.Builder has no errors
	tableUI(ui).Output(strings.TrimRight(b.String(), "\n"))
}

// tableUI prints texts that are safe, lines and all.
func tableUI(ui cli.Ui) cli.Ui {
	if safe, ok := ui.(safeUI); ok {
		return safe.Ui
	}
	return ui
}
