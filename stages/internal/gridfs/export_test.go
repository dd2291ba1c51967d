package gridfs

import (
	"github.com/waybill-dev/waybill/pipeline"
	"github.com/waybill-dev/waybill/stages/internal/mongoconn"
)

// DriverWith is the driver with other settings.
func DriverWith(set mongoconn.Settings) pipeline.ObjectDriver { return driver(set) }
