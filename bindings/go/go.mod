module timlogin

go 1.19
