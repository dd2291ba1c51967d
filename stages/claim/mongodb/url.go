package mongodb

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/waybill-dev/waybill/stages/internal/mongoconn"
)

const (
	defaultPrefix = "waybill_"
	maxLanes      = keylessLanes
)

// target is a mongodb: URL taken apart.
type target struct {
	mongoconn.Target
	prefix string // of the collections' names
	lanes  uint32 // parts that claims spread over
}

// parseTarget takes our own options: waybill.prefix and waybill.lanes.
func parseTarget(raw string) (t target, err error) {
	t.prefix, t.lanes = defaultPrefix, 1
	t.Target, err = mongoconn.Parse(raw, mongoconn.Options{
		"prefix": func(value string) error {
			if value == "" || strings.ContainsAny(value, "$\x00") || strings.HasPrefix(value, "system.") {
				return errors.New("cannot begin the name of a collection")
			}
			t.prefix = value
			return nil
		},
		"lanes": func(value string) error {
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > maxLanes {
				return fmt.Errorf("is not 1 to %d", maxLanes)
			}
			t.lanes = uint32(n)
			return nil
		},
	})
	return t, err
}
