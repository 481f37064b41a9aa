//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
)

// row is one line of the table. Each kind has a figure for each part.
type row struct {
	What    string                  `json:"what"`
	Parts   []part                  `json:"parts"`
	Figures map[kind][]float64      `json:"figures"`
	Counts  map[kind]map[string]int `json:"counts,omitempty"` // how many measurements, and the like
	Ratios  []float64               `json:"ratios,omitempty"` // for each part; see ratios
}

// part says what a figure is.
type part struct {
	Unit   string `json:"unit"`
	Higher bool   `json:"higher_is_better,omitempty"`
}

func (r *row) set(k kind, figures ...float64) {
	if r.Figures == nil {
		r.Figures = map[kind][]float64{}
	}
	r.Figures[k] = figures
}

func (r *row) count(k kind, what string, n int) {
	if r.Counts == nil {
		r.Counts = map[kind]map[string]int{}
	}
	if r.Counts[k] == nil {
		r.Counts[k] = map[string]int{}
	}
	r.Counts[k][what] = n
}

// ratios tell for each figure how many times better agentctl is than the best
// of the stock ones: below 1 it is worse. There is none where a figure is 0.
func (r *row) ratios() (ratios []float64) {
	for i, mine := range r.Figures[ours] {
		best, higher := 0.0, r.Parts[i].Higher
		for _, k := range kinds[:len(kinds)-1] {
			if fs := r.Figures[k]; i < len(fs) && fs[i] > 0 && (best == 0 || higher == (fs[i] > best)) {
				best = fs[i]
			}
		}
		switch {
		case best == 0 || mine <= 0:
			ratios = append(ratios, 0)
		case higher:
			ratios = append(ratios, mine/best)
		default:
			ratios = append(ratios, best/mine)
		}
	}
	return ratios
}

// machine is where the figures come from.
type machine struct {
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	Go         string `json:"go"`
	Kernel     string `json:"kernel"`
	LoadBefore string `json:"load_before"` // averages of 1, 5 and 15 minutes
	LoadAfter  string `json:"load_after"`
}

func thisMachine() machine {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version(), LoadBefore: loadAverage(), CPU: "unknown"}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	m.Kernel = strings.TrimSpace(string(kernel))
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			m.CPU = strings.TrimSpace(value)
		}
	}
	return m
}

func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	return strings.Join(fields[:min(3, len(fields))], " ")
}

// report is what a run has found.
type report struct {
	Machine     machine `json:"machine"`
	Profile     string  `json:"profile"`
	Interpreter string  `json:"interpreter"`
	Seconds     float64 `json:"seconds"`
	Rows        []row   `json:"rows"`

	Simulations []simulationResult `json:"simulations,omitempty"`
	Broadcasts  []broadcastResult  `json:"broadcasts,omitempty"`
	Peers       peerResults        `json:"peers,omitempty"`
}

func (r *report) add(line row) {
	if line.Ratios == nil {
		line.Ratios = line.ratios()
	}
	r.Rows = append(r.Rows, line)
}

// figures are those of a kind in an earlier row; nil where there is none.
func (r *report) figures(what string, k kind) []float64 {
	for _, line := range r.Rows {
		if line.What == what {
			return line.Figures[k]
		}
	}
	return nil
}

func (r *report) write(file string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// markdown is the table, with how it was measured below it.
func (r *report) markdown() string {
	var b bytes.Buffer
	if len(r.Peers) > 0 {
		fmt.Fprintf(&b, "%s\n%s", r.Peers.markdown(), r.onWhat())
		return b.String()
	}
	fmt.Fprint(&b, "| what | unit |")
	for _, k := range kinds {
		fmt.Fprintf(&b, " %s |", k)
	}
	fmt.Fprintf(&b, " times better |\n|%s\n", strings.Repeat(" --- |", len(kinds)+3))
	for _, line := range r.Rows {
		var units []string
		for _, p := range line.Parts {
			units = append(units, p.Unit)
		}
		fmt.Fprintf(&b, "| %s | %s |", line.What, strings.Join(units, " / "))
		for _, k := range kinds {
			fmt.Fprintf(&b, " %s |", join(line.Figures[k]))
		}
		fmt.Fprintf(&b, " %s |\n", times(line.Ratios))
	}
	fmt.Fprintf(&b, "\n%s\n%s", r.onWhat(), fmt.Sprintf(method, r.Interpreter, r.Profile))
	b.WriteString(simulationTable(r.Simulations))
	b.WriteString(broadcastTable(r.Broadcasts))
	return b.String()
}

// onWhat says on which machine the figures were measured.
func (r *report) onWhat() string {
	return fmt.Sprintf("%s, %d cores, Linux %s, %s; load before %s, after %s; %.0f s in all.\n",
		r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, r.Machine.Go, r.Machine.LoadBefore, r.Machine.LoadAfter, r.Seconds)
}

// join prints figures with slashes between them, or a dash where there are none.
func join(figures []float64) string {
	var texts []string
	for _, f := range figures {
		texts = append(texts, number(f))
	}
	if len(texts) == 0 {
		return "–"
	}
	return strings.Join(texts, " / ")
}

// times prints ratios; 0 stands for none.
func times(ratios []float64) string {
	var texts []string
	for _, r := range ratios {
		if r > 0 && !math.IsInf(r, 0) && !math.IsNaN(r) {
			texts = append(texts, number(r)+"×")
		} else {
			texts = append(texts, "–")
		}
	}
	if len(texts) == 0 {
		return "–"
	}
	return strings.Join(texts, " / ")
}
