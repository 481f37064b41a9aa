//go:build !linux

package handler

import (
	"errors"
	"testing"
)

var errFull = errors.New("no space left on device")

func smallFS(*testing.T, string) func() { return nil }
