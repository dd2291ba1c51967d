module github.com/waybill-dev/waybill/plugins/sdk/go

go 1.24
