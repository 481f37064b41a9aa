//go:build !linux

package disk

import "go.etcd.io/bbolt"

func release(*bbolt.DB) error { return nil }
