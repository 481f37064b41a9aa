//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// writeLines writes events of one name as lines of a batch.
func writeLines(to io.Writer, name string, events int, payload func(int) []byte) error {
	w := bufio.NewWriterSize(to, 1<<16)
	for i := range events {
		fmt.Fprintf(w, "{\"name\":%q,\"payload\":%q}\n", name, payload(i))
	}
	return w.Flush()
}

// publishLines publishes the lines of a batch at the first agent, in one request.
func (c *cluster) publishLines(ctx context.Context, lines io.Reader) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.members[0].http()+"/v1/events", lines)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("the batch is answered %s: %s", resp.Status, answer)
	}
	return err
}

// batchBytes is the size of a batch's payloads.
const batchBytes = 200

// batches is how many events an agent takes a second from one request, without and with a
// journal on the disk. It has no other members, and delivers nothing.
func (b *bench) batches(ctx context.Context) error {
	for _, disk := range []bool{false, true} {
		what, args := "events that an agent takes in one batch over HTTP, in memory", []string(nil)
		if disk {
			dir, err := os.MkdirTemp(b.dir, "journal-")
			if err != nil {
				return err
			}
			what, args = "the same, with -data-dir", []string{"-data-dir=" + dir}
		}
		c, err := b.startWith(ctx, b.profile, args, ours)
		if err != nil {
			return err
		}
		defer c.close()
		var rates []float64
		for round := range b.plan.batchTurns {
			var lines bytes.Buffer
			writeLines(&lines, "other", b.plan.batch, func(i int) []byte {
				return fmt.Appendf(nil, "%0*d-%d", batchBytes-2, i, round%10)
			})
			began := time.Now()
			if err := c.publishLines(ctx, &lines); err != nil {
				return err
			}
			rates = append(rates, float64(b.plan.batch)/time.Since(began).Seconds())
		}
		r := row{What: what, Parts: []part{{Unit: "a second", Higher: true}}}
		r.set(ours, median(rates))
		r.count(ours, "batches", len(rates))
		b.say("%s: %s a second", what, number(median(rates)))
		b.report.add(r)
	}
	return nil
}
