module reach

go 1.24

require github.com/waybill-dev/waybill/plugins/sdk/go v0.0.0

replace github.com/waybill-dev/waybill/plugins/sdk/go => ../../sdk/go
