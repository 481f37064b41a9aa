package main

import (
	"bytes"
	"fmt"
	"os"
)

func main() {
	parts, err := compiled("./cmd/agentctl")
	if err != nil {
		fmt.Fprintln(os.Stderr, "licenses:", err)
		os.Exit(1)
	}
	var page bytes.Buffer
	write(&page, parts)
	if _, err := page.WriteTo(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "licenses:", err)
		os.Exit(1)
	}
}
